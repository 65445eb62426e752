"""What all parts of a controller stand on: signals, properties, messages."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from psygnal import EmitLoopError, Signal

from samslice.plugin import layers as make
from samslice.plugin import reports
from samslice.plugin.keys import Keys, tool_of
from samslice.plugin.loading import ModelLoader
from samslice.plugin.runner import Runner
from samslice.plugin.settings import read_settings
from samslice.plugin.values import (
    CandidatesView,
    CostEstimate,
    ImageChoices,
    ModelView,
    PictureView,
    ProgressView,
    SourceView,
    StateView,
    TableRow,
)
from samslice.plugin.workplace import Workplace

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Labels, Points, Shapes

    from samslice.engine.backend import SamModel
    from samslice.engine.options import PropagateOptions
    from samslice.session.session import Session

logger = logging.getLogger("samslice.plugin")

EXPECTED = (ValueError, TypeError, OSError, RuntimeError, MemoryError)
"""Errors whose message is for the user; others are faults of ours, and are logged."""


class Base:
    """Signals and state; see `samslice.plugin.controller.SamController`."""

    image_changed = Signal(ImageChoices)
    source_changed = Signal(SourceView)
    model_changed = Signal(ModelView)
    state_changed = Signal(StateView)
    candidates_changed = Signal(CandidatesView)
    tool_changed = Signal(str)
    table_changed = Signal(tuple)
    cost_changed = Signal(CostEstimate)
    picture_changed = Signal(PictureView)
    progress = Signal(ProgressView)
    busy_changed = Signal(bool)
    can_changed = Signal(dict)
    message = Signal(str, str)
    closed = Signal()

    def __init__(
        self,
        viewer: ViewerModel,
        *,
        device: str | None,
        precision: str | None,
        cache: Any,
        options: PropagateOptions | None,
        encode_ahead: bool,
    ) -> None:
        from samslice.engine.options import PropagateOptions

        settings = read_settings()
        self._viewer: Any = make.plain(viewer)
        self._encode_ahead = encode_ahead
        self._options = options or PropagateOptions()
        self._cache = cache if cache is not None else settings.cache_folder
        self._cache_bytes = settings.cache_bytes
        self._predictor: Any = None
        self._places: dict[Image, Workplace] = {}
        self._place: Workplace | None = None
        self._listened: Session | None = None
        self._closed = False
        self._adding = 0
        self._busy = False
        self._wants_picture = False
        self._put_down = ""  # the tool that is taken up again when a plane is shown
        self._shown: dict[str, Any] = {}
        self._active: dict[str, ProgressView] = {}
        self.runner = Runner(self.guard, has_gui=hasattr(self._viewer, "window"))
        self.is_shown = False
        self._keys = Keys(self.act, self.rank)
        self._loader = ModelLoader(
            self.runner,
            device or settings.device,
            precision or settings.precision,
            on_model=self._on_model,
            on_view=self._on_model_view,
            on_progress=self._report,
            on_error=partial(self.tell, "error"),
        )

    def act(self, name: str) -> None:
        """Do an action of `samslice.plugin.keys.ACTIONS` by its name."""
        raise NotImplementedError

    def choose_image(self, image: Image | str | None) -> None:
        """Segment another image layer."""
        raise NotImplementedError

    def _on_model(self, model: SamModel) -> None:
        raise NotImplementedError

    def _on_model_view(self, view: ModelView) -> None:
        raise NotImplementedError

    def _report(self, view: ProgressView) -> None:
        raise NotImplementedError

    # ------------------------------------------------------------------ what is there

    @property
    def viewer(self) -> ViewerModel:
        """The viewer."""
        return self._viewer

    @property
    def image(self) -> Image | None:
        """The image layer that is segmented."""
        return None if self._place is None else self._place.image

    @property
    def points(self) -> Points | None:
        """Layer of clicks."""
        return None if self._place is None else self._place.points

    @property
    def shapes(self) -> Shapes | None:
        """Layer of drawings."""
        return None if self._place is None else self._place.shapes

    @property
    def labels(self) -> Labels | None:
        """Layer of results."""
        return None if self._place is None else self._place.labels

    @property
    def session(self) -> Session | None:
        """What does the work; None until the model is loaded and an image chosen."""
        return None if self._place is None else self._place.session

    @property
    def choices(self) -> ImageChoices:
        """Images and layers to choose from."""
        return reports.image_choices(self._viewer, self._place)

    @property
    def source(self) -> SourceView:
        """How the encoder sees the image."""
        return reports.source_view(self._place)

    @property
    def model(self) -> ModelView:
        """The model and how far its loading is."""
        return self._loader.view

    @property
    def state(self) -> StateView:
        """Where the work stands."""
        return reports.state_view(self._place, self._why_no_session)

    @property
    def candidates(self) -> CandidatesView:
        """Candidate masks of the current object on this plane."""
        return reports.candidates_view(self.session)

    @property
    def table(self) -> tuple[TableRow, ...]:
        """Object by plane."""
        return reports.table_rows(self.session)

    @property
    def cost(self) -> CostEstimate:
        """What a propagation would cost."""
        return reports.cost_estimate(self._place)

    @property
    def can(self) -> dict[str, str | None]:
        """For each action None, or why it cannot be done now."""
        return reports.reasons(
            self._place,
            self._why_no_session,
            is_loading=self._loader.is_loading,
            flat=self._viewer.dims.ndisplay == 2,
        )

    @property
    def tool(self) -> str:
        """The tool in hand; empty if it is none of ours."""
        return tool_of(make.plain(self._viewer.layers.selection.active), self._place)

    def rank(self) -> tuple[bool, bool]:
        """Say how near this is to what the user does: for commands where there are several.

        Returns
        -------
        tuple of bool
            Whether the active layer is one of this controller's, and whether
            its widget is shown.
        """
        active = make.plain(self._viewer.layers.selection.active)
        ours = (self.image, self.points, self.shapes, self.labels)
        return active is not None and active in ours, self.is_shown

    @property
    def options(self) -> PropagateOptions:
        """Options of the next propagation."""
        return self._options

    @property
    def is_busy(self) -> bool:
        """Whether there is work."""
        return self._busy or self._loader.is_loading

    @property
    def is_closed(self) -> bool:
        """Whether this has ended."""
        return self._closed

    @property
    def _why_no_session(self) -> str:
        if self._place is None:
            return "Add or choose an image layer first."
        if self._place.labels is None:
            return "There is no layer for results; choose a tool to make one."
        if self._loader.view.state == "failed":
            return "No model is loaded; choose one, or a checkpoint file."
        return "The model is being loaded."

    # ------------------------------------------------------------------ messages

    def tell(self, level: str, text: str) -> None:
        """Show a message to the user.

        Parameters
        ----------
        level : str
            ``"info"``, ``"warning"`` or ``"error"``.
        text : str
            What to say.
        """
        if self._closed:
            return
        self.message.emit(level, text)
        from napari.utils import notifications

        if self.runner.has_gui:
            getattr(notifications, f"show_{level}")(text)

    def guard(self, call: Callable[[], object]) -> object:
        """Run a call; what it raises becomes a message.

        Parameters
        ----------
        call : callable
            What to do.

        Returns
        -------
        object
            What it returned; None where it failed.
        """
        try:
            return call()
        except Exception as error:  # a traceback in an event handler helps nobody
            cause: BaseException = error
            while isinstance(cause, EmitLoopError) and cause.__cause__ is not None:
                cause = cause.__cause__
            if not isinstance(cause, EXPECTED):
                logger.exception("unexpected error", exc_info=cause)
            else:
                logger.debug("told the user", exc_info=cause)
            self.tell("warning", str(cause) or repr(cause))
            return None
