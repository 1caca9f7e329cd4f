"""The forms of law, in the order in which they are preferred where nothing else decides, and what they are held
against."""

from engine.analysis.forms.base import LawForm
from engine.analysis.forms.bounded import BOUNDED
from engine.analysis.forms.constant import CONSTANT, CONSTANT_SHARE
from engine.analysis.forms.offset import OFFSET
from engine.analysis.forms.power import POWER
from engine.analysis.forms.power_tokens import POWER_TOKENS

FORMS: dict[str, LawForm] = {form.name: form for form in (POWER, POWER_TOKENS, BOUNDED, OFFSET)}
BASELINES: tuple[LawForm, ...] = (CONSTANT, CONSTANT_SHARE)

__all__ = ["BASELINES", "FORMS", "LawForm"]
