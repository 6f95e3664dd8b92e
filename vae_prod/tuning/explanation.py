"""Why the best trial of a search is the best, in sentences, and how sure that is."""

from collections.abc import Iterable, Sequence

from vae_prod.config import figures as figures_lib
from vae_prod.evaluation import resampling
from vae_prod.reporting import uncertainty
from vae_prod.tuning import leaderboard, trial_text

# What people look at.
_LOOKED_AT = ("sample_frechet", "reconstruction_frechet", "psnr")


def explain(
    rows: Iterable[leaderboard.Row],
    objective: leaderboard.Objective,
    trainings: int = 1,
) -> str:
    """Say in a few sentences why the best trial is the best, and how far to trust it.

    Only what the figures show is said: the lead over other settings, the places in
    both Fréchet distances and PSNR, unequal epochs, and a `fact` at an edge of what was
    tried.

    Args:
        rows: All trials.
        objective: What ranks them.
        trainings: Of each trial, from other seeds.
    """
    rows = leaderboard.ranked(rows, objective)
    done = leaderboard.of_status(rows, "completed")
    if not done:
        failures = trial_text.failures(rows)
        return " ".join([f"No trial has a rank: {trial_text.counts(rows)}.", *failures])
    best = done[0]
    sentences = [_lead(done, objective, trainings), _places(done, objective)]
    longest = max(done, key=lambda row: row.epochs)
    if best.epochs < longest.epochs:
        sentences.append(
            f"It trained for {trial_text.epochs(best)}, others for {longest.epochs}: "
            f"they don't compare fairly. Of the longest, {longest.trial} is best, with "
            f"{objective.name} {trial_text.figure(objective.name, longest, 1)}."
        )
    if objective.name == "total_loss":
        sentences.append(
            "total_loss falls with fact by construction, so it doesn't rank models of "
            "different fact; rank them by frechet."
        )
    else:
        sentences.append(_edge(rows, best))
    return " ".join(filter(None, sentences))


def _described(row: leaderboard.Row) -> str:
    values = (
        f"{name} {leaderboard.text_of(value)}" for name, value in row.settings.items()
    )
    return f"{row.trial} ({', '.join((*values, trial_text.epochs(row)))})"


def _lead(
    done: Sequence[leaderboard.Row], objective: leaderboard.Objective, trainings: int
) -> str:
    """Compare the best with the best of other settings: Hyperband repeats settings."""
    best, name = done[0], objective.name
    others = [row for row in done if row.settings != best.settings]
    start, figure = (
        f"Trial {_described(best)} has",
        trial_text.objective(name, best),
    )
    if not others:
        return (
            f"{start} {name} {figure}; no other settings completed, so nothing "
            "compares with it."
        )
    ours, theirs = best.figure(name), others[0].figure(name)
    lead = abs(ours - theirs) / (max(abs(ours), abs(theirs)) or 1.0)
    extreme = "lowest" if objective.minimize else "highest"
    sentence = (
        f"{start} the {extreme} {name}, {figure}, {100 * lead:.3g} % ahead of the next "
        f"settings, {_described(others[0])} with "
        f"{trial_text.objective(name, others[0])}"
    )
    if others[0].epochs < best.epochs:
        sentence += ", which trained less: part of the lead may be its epochs"
    sure = _sureness(leaderboard.lead(best, others[0], objective), trainings)
    return f"{sentence}. {sure}".rstrip()


def _sureness(lead: resampling.Estimate | None, trainings: int) -> str:
    """Say how sure the lead of one trial over another is."""
    if lead is None:
        return ""
    told = f"the lead is {lead.value:.3g} {uncertainty.plus_minus(lead.half_width)}"
    drawn = "images" if trainings == 1 else f"images and {trainings} trainings"
    shown = f"No difference shown between them: {told} over {drawn}."
    if not lead.may_be(0.0):
        shown = f"{told.capitalize()} over {drawn}."
    if trainings > 1:
        return shown
    return f"{shown} What another seed changes isn't in it (--executions_per_trial)."


def _places(done: Sequence[leaderboard.Row], objective: leaderboard.Objective) -> str:
    """Say where the best trial stands in the figures that people look at."""
    places = []
    for name in _LOOKED_AT:
        key = leaderboard.Objective(name, figures_lib.FIGURES[name].minimize).key
        best, *others = (key(row) for row in done)
        keys = [value for value in others if value is not None]
        if name != objective.name and best is not None and keys:
            place = 1 + sum(value < best for value in keys)
            figure = trial_text.figure(name, done[0])
            places.append(f"number {place} of {1 + len(keys)} in {name} ({figure})")
    return f"It is {' and '.join(places)}." if places else ""


def _edge(rows: Sequence[leaderboard.Row], best: leaderboard.Row) -> str:
    """Say whether the best `fact` is the lowest or highest of at least three."""
    tried = sorted({row.fact for row in rows if row.fact is not None})
    if len(tried) < 3 or best.fact not in (tried[0], tried[-1]):
        return ""
    edge = "lowest" if best.fact == tried[0] else "highest"
    return (
        f"Its fact is the {edge} that was tried ({leaderboard.text_of(tried[0])} to "
        f"{leaderboard.text_of(tried[-1])}): widen the range of --search_fact there."
    )
