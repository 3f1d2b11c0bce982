"""PowerPoint presentations to blocks by python-pptx: a slide is a page."""

import io
from collections.abc import Iterable, Iterator

from pptx import Presentation
from pptx.enum.shapes import PP_PLACEHOLDER
from pptx.shapes.autoshape import Shape
from pptx.shapes.base import BaseShape
from pptx.shapes.graphfrm import GraphicFrame
from pptx.shapes.group import GroupShape
from pptx.slide import Slide

from rag_assets.documents.readers.archives import Archive, parsing
from rag_assets.documents.readers.blocks import Block, Extracted, first_heading
from rag_assets.documents.readers.media_types import PPTX

_BODIES = (PP_PLACEHOLDER.BODY, PP_PLACEHOLDER.OBJECT, PP_PLACEHOLDER.VERTICAL_BODY)
_FURNITURE = (PP_PLACEHOLDER.FOOTER, PP_PLACEHOLDER.DATE, PP_PLACEHOLDER.SLIDE_NUMBER)


def read_pptx(data: bytes) -> Extracted:
    """Slides with their speaker notes; hidden slides, charts and pictures are left out.

    A slide's title is a heading of level 2, of level 1 on a title slide. Body text is a list.

    Raises:
        RejectedError: ``corrupt``, ``too large``.
    """
    archive = Archive(data)
    blocks: list[Block] = []
    with parsing("PowerPoint presentation"):
        for page, slide in enumerate(Presentation(io.BytesIO(data)).slides, start=1):
            if slide.element.get("show") not in ("0", "false"):
                blocks += _slide_blocks(slide, page)
    return Extracted(PPTX, blocks, **{"title": first_heading(blocks), **archive.properties()})


def _slide_blocks(slide: Slide, page: int) -> Iterator[Block]:
    title = slide.shapes.title
    if title is not None and title.text_frame.text.strip():
        kind = title.placeholder_format.type
        level = 1 if kind == PP_PLACEHOLDER.CENTER_TITLE else 2
        yield Block("heading", " ".join(title.text_frame.text.split()), level, page)
    for shape in _flattened(slide.shapes):
        if title is None or shape.shape_id != title.shape_id:
            yield from _shape_blocks(shape, page)
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        notes = slide.notes_slide.notes_text_frame.text.strip()
        if notes:
            yield Block("paragraph", f"Notes: {notes}", page=page)


def _flattened(shapes: Iterable[BaseShape]) -> Iterator[BaseShape]:
    """All shapes, those in groups one by one."""
    for shape in shapes:
        if isinstance(shape, GroupShape):
            yield from _flattened(shape.shapes)
        else:
            yield shape


def _shape_blocks(shape: BaseShape, page: int) -> Iterator[Block]:
    if isinstance(shape, GraphicFrame) and shape.has_table:
        rows = [[" ".join(cell.text.split()) for cell in row.cells] for row in shape.table.rows]
        yield Block("table", "\n".join(" | ".join(row) for row in rows if any(row)), page=page)
    elif isinstance(shape, Shape) and shape.has_text_frame:
        kind = shape.placeholder_format.type if shape.is_placeholder else None
        if kind in _FURNITURE:
            return
        lines = [(p.level, " ".join(p.text.split())) for p in shape.text_frame.paragraphs]
        lines = [(level, text) for level, text in lines if text]
        if kind in _BODIES and len(lines) > 1:
            yield Block("list", "\n".join(f"{'  ' * n}- {text}" for n, text in lines), page=page)
        elif lines:
            yield Block("paragraph", "\n".join(text for _, text in lines), page=page)
