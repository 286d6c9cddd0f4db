"""Similarity index of a stimulus: whether it is represented like stimulus A (1) or like B (-1)."""

from typing import Literal

Form = Literal["signed", "absolute"]


def similarity_index(p_s: float, p_a: float, p_b: float, form: Form) -> float:
    """Return the similarity index (|p_s - p_B| - |p_A - p_s|) / (p_A - p_B).

    Args:
        p_s: Mean projection of the stimulus.
        p_a: Mean projection of stimulus A.
        p_b: Mean projection of stimulus B.
        form: "signed": the formula above (figure 2 of Zhong et al., 2025); "absolute": divided by
            |p_A - p_B| instead (figures 3 and S6).

    Returns:
        The index; NaN if p_A equals p_B.
    """
    distance = p_a - p_b if form == "signed" else abs(p_a - p_b)
    return (abs(p_s - p_b) - abs(p_a - p_s)) / distance if distance else float("nan")
