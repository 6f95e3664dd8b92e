"""What is measured of a train step: its figures, and its operations' times."""

import attrs


@attrs.frozen
class Operation:
    """All operations of one type that do the same kind of work.

    Attributes:
        group: What they work at, one of `step_trace.GROUPS`.
        type: Their type, such as `Conv2DBackpropFilter`.
        milliseconds: Their time in a step, added up over threads.
    """

    group: str
    type: str
    milliseconds: float


@attrs.frozen
class Figures:
    """What one run has found.

    Attributes:
        images_per_second: After the warm-up.
        first_seconds: The first call: tracing, compilation where it is compiled, and
            the computation itself.
        memory_mb: Peak memory beyond that of the process before the model was built;
            on a GPU that of the device.
        total_loss: Mean of the loss over all steps.
        operations: Operations of a traced step, the longest first.
    """

    images_per_second: float
    first_seconds: float
    memory_mb: float
    total_loss: float
    operations: tuple[Operation, ...]
