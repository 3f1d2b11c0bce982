"""The tree of errors: every room has its own, and ``rag`` prints any of them as a sentence.

::

    RagError
    ├── CommandError                  here: a command cannot do what was asked
    ├── SettingsError                 settings: a variable has a value that means nothing
    ├── YamlFileError                 yaml_files: a file is no YAML, or a field means nothing
    ├── DamagedFileError              files: a state file does not hold what was written there
    ├── AccessError                   access.file: who may read what cannot be told
    ├── PluginError                   plugins: what another package brings cannot be imported
    ├── StackError                    orchestration.processes: a process did not start
    ├── BackupError                   orchestration.backup: cannot be made, or restored
    ├── InstallError                  installation.engines: engines cannot be installed
    ├── LakeError                     lake.errors: the lake cannot be read or written as asked
    ├── ModelsError                   models.errors: anything that models and engines refuse
    │   ├── ProfileError              a profile is unknown or its file is malformed
    │   ├── WrongModelError           what was given as a model lacks what its role needs
    │   ├── WeightsError              weights cannot be had
    │   │   ├── WeightsCorruptError   bytes differ from the recorded sha256
    │   │   ├── HubError              the hub cannot be asked, or does not have it
    │   │   └── NotPulledError        an engine needs weights that are not in the cache
    │   ├── ConversionError           a weights file cannot be turned into the served format
    │   ├── EngineError               an engine cannot be started or kept alive
    │   │   └── PortTakenError        its port, or the answerer's, already belongs to somebody
    │   ├── GoneError                 nobody waits for the answer any more
    │   ├── EngineUnavailableError    nobody answers for a role
    │   └── ModelRequestError         an engine answers, but refuses or garbles this request
    │       └── ContextExceededError  the request is longer than the model's context
    ├── SourceError                   sources.declaration: declared wrongly, or cannot be listed
    │   ├── SourceShrunkError         it lists far less than it held: a person decides
    │   ├── SourceGoneError           nothing is where it was
    │   ├── NotAcceptedError          sources.acceptance: a token accepts no such deletion
    │   └── BucketsError              sources.buckets: its number of buckets was another before
    ├── UnreadableError               sources.found: one file cannot be read; ends in its row
    ├── ListError                     sources.sitemaps: these bytes are no list of URLs
    ├── FailedError                   sources.fetch: no answer that counts, this time
    ├── RefusedError                  sources.fetch: the site says that a page is not to be read
    ├── ForbiddenAddressError         sources.addresses: a host's address is not public
    ├── RejectedError                 documents.readers: a file gives no document; in a table
    ├── ParsingError                  documents.worker: no file can be read here; fails the run
    ├── StageError                    pipeline.stage: stages make no list that can be run
    ├── RefreshError                  pipeline.refreshing: a check failed, or no source was read
    ├── QuestionError                 answers.questions: a question cannot be taken
    │   ├── FilterError               answers.filters: no filter that the index has
    │   ├── QuestionTooLongError      it is longer than the stated limit
    │   ├── ParameterError            serving.chat_request: a parameter cannot be honoured
    │   └── UnknownModelError         serving.chat_request: no mode is called so
    ├── IncommensurableError          questions.values: these values cannot be compared or summed
    ├── BudgetError                   answers.budget: the prompt alone overflows the model's window
    ├── CalibrationError              evaluations.calibrating: nothing can be learned from these
    ├── CaseError                     sources.golden: golden questions are not of their form
    ├── BusyError                     serving.admission: more questions wait than the queue holds
    ├── NotReadyError                 serving.service: no generation is in service
    ├── ExposedError                  serving.listening: others may reach it, but no key is asked
    ├── UnknownDocumentError          serving.documents: no such document, for this caller
    ├── NoCitationError               serving.service: no such citation, for this caller
    ├── CanaryError                   serving.canaries: a generation does not find its own chunks
    ├── BatchFileError                batches.questions: a file of questions or answers is wrong
    └── AnswererError                 serving.client: the answerer refused, or failed
        └── AnswererDownError         nobody answers at its address
"""


class RagError(Exception):
    """Anything that this package raises on purpose; the message says what to do.

    Attributes:
        exit_code: of a command that it ends; 2 where the request itself is wrong.
    """

    exit_code = 1


class CommandError(RagError):
    """End a command with a sentence and an exit code (2: the request itself is wrong)."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = code
