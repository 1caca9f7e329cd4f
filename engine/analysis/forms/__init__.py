"""The forms of law, in the order in which they are preferred where nothing else decides."""

from engine.analysis.forms.base import LawForm
from engine.analysis.forms.bounded import BOUNDED
from engine.analysis.forms.offset import OFFSET
from engine.analysis.forms.power import POWER
from engine.analysis.forms.power_tokens import POWER_TOKENS

FORMS: dict[str, LawForm] = {form.name: form for form in (POWER, POWER_TOKENS, BOUNDED, OFFSET)}

__all__ = ["FORMS", "LawForm"]
