"""Check by its weight if an animal may run today, and compute the water that it still needs."""

from datetime import date

from rig.subjects.record import Subject, Weighing

MIN_WEIGHT_SHARE = 0.8
"""Fraction of its baseline weight below which a water-restricted animal may not run."""


def underweight(subject: Subject, weights: list[Weighing], today: date) -> str:
    """Return why a water-restricted animal may not run today; "" if it may.

    A weight dated in the future counts as a weight of today.
    """
    if not subject.restricted:
        return ""
    name = subject.name
    todays = [weighing for weighing in weights if weighing.day >= today.isoformat()]
    if all(weighing.after for weighing in todays):
        how = f"weigh it: rig subject weigh {name} GRAMS"
        if not todays:
            return f"{name} was not weighed today; {how}"
        return (
            f"{name} was not weighed before a session today (its {todays[-1].grams:g} g were "
            f"measured after one); {how}"
        )
    before = max(at for at, weighing in enumerate(todays) if not weighing.after)
    # Use the lowest weight since then, because later weights include water that was drunk.
    grams = min(weighing.grams for weighing in todays[before:])
    share = grams / subject.baseline_g
    if share < MIN_WEIGHT_SHARE:
        return (
            f"{name} weighs {grams:g} g, {share:.1%} of its {subject.baseline_g:g} g "
            f"(the limit is {MIN_WEIGHT_SHARE:.0%}); give it water instead"
        )
    return ""


def supplement_ml(subject: Subject, at_least_ul: float) -> float:
    """Return the water that a water-restricted animal must still be given today, ml.

    Args:
        subject: The animal.
        at_least_ul: Water that it was certainly given today, microlitres.
    """
    return max(0.0, subject.need_ml - at_least_ul / 1000) if subject.restricted else 0.0
