"""The tree of expected errors: each room has its own, and ``rag`` prints any of them as a sentence.

::

    LakeError            lake.errors          the lake cannot be read or written as asked
    ModelsError          models.errors        profiles, weights, engines, requests to them
    SourceError          sources.declaration  a source is declared wrongly or cannot be listed
    SourceShrunkError    sources.declaration  one that lists far less than it held: a person decides
    RejectedError        documents.blocks     a file gives no document; ends in a table, not here
    ParsingError         documents.worker     no file can be read here: fails the run
    QuestionError        answers.questions    a question cannot be taken
    CaseError            evaluations.cases    golden questions are not of the expected form
    DataError            evaluations.datasets evaluation data is not there, or not of its form
    AnswererError        serving.client       the answerer refused, or is down
    StackError           stack                a process did not start
    SettingsError        settings             a variable has a value that means nothing
    BenchmarkError       benchmarks.findings  data or a library that a benchmark needs is missing
    CommandError         here                 a command cannot do what was asked
"""


class CommandError(Exception):
    """End a command with a sentence and an exit code (2: the request itself is wrong)."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code
