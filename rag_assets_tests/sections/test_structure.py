from rag_assets_tests.world import World


def test_section_is_its_part_of_the_document(world: World) -> None:
    world.write("a.md", "# A\n\nfirst\n\n## B\n\nsecond part\n\n| a |\n|---|\n| 1 |")
    world.stages()
    (document,) = world.store.rows("documents", world.partition)
    sections = world.store.rows("sections", world.partition)
    assert len(sections) == 2
    for section in sections:
        assert document["text"][section["start"] : section["end"]] == section["text"]
        assert section["title"] == "A"


def test_only_the_edited_document_is_cut_again(world: World) -> None:
    for name in "abc":
        world.write(f"{name}.md", f"# {name}\n\ntext of {name}")
    world.stages()
    world.write("b.md", "# b\n\nanother text")
    report = world.stages()["sections"]
    assert (len(report.delta.changed), report.delta.unchanged, report.n_written) == (1, 2, 1)
