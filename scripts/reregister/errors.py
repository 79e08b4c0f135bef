"""The one error that is meant for the reader of a terminal."""


class ReregisterError(Exception):
    """Something the user can put right: wrong config, wrong file, missing data.

    The message is one sentence that says what is wrong, where, and what to do. The door of a job prints it without a
    traceback and exits with 1; anything else that is raised is a defect of ours and keeps its traceback.
    """
