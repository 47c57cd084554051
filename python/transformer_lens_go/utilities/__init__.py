"""Helpers under upstream's names; what is missing comes with the features that need it."""

from .._not_built import names_of
from .activation_functions import SOFTCAP_DISABLED, softcap_enabled
from .components_utils import get_act_name
from .lm_utils import lm_accuracy, lm_cross_entropy_loss
from .slice import Slice, SliceInput
from .tensors import get_corner, remove_batch_dim, to_numpy
from .tokenize_utils import (
    get_attention_mask,
    get_input_with_manually_prepended_bos,
    get_tokens_with_bos_removed,
)

__all__ = [
    "SOFTCAP_DISABLED",
    "Slice",
    "SliceInput",
    "get_act_name",
    "get_attention_mask",
    "get_corner",
    "get_input_with_manually_prepended_bos",
    "get_tokens_with_bos_removed",
    "lm_accuracy",
    "lm_cross_entropy_loss",
    "remove_batch_dim",
    "softcap_enabled",
    "to_numpy",
]

__getattr__ = names_of(__name__)
