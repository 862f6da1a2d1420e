"""`make search MODEL=gnn DATA=…`: look for better settings of the graph network on validation.

Optuna's TPE over the few settings that matter. Trials are kept in
`gnn-search.db`: the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
from sqlalchemy.exc import SQLAlchemyError

from edge.arguments import number
from edge.errors import SetupError
from train import command, gnn
from train.graph import Shape
from train.prepare import Data


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the trials; the exit status."""
    parser = command.parser("train.gnn_search", __doc__)
    parser.add_argument(
        "--trials", type=number(int, 1), default=40, help="to be done in all (default: 40)"
    )
    return command.run(parser, arguments, search)


def suggest(trial: optuna.Trial) -> gnn.Settings:
    """Settings of a trial."""
    shape = Shape(
        channels=trial.suggest_categorical("channels", [4, 8, 16]),
        layers=trial.suggest_int("layers", 1, 2),
        regions=trial.suggest_categorical("regions", [32, 48, 64]),
        hidden=trial.suggest_categorical("hidden", [128, 256, 384]),
        dropout=trial.suggest_float("dropout", 0.2, 0.7),
    )
    return replace(
        gnn.Settings(),
        shape=shape,
        directions=trial.suggest_int("directions", 60, 160, step=20),
        whitening=trial.suggest_float("whitening", 0.4, 1.0),
        learning_rate=trial.suggest_float("learning_rate", 5e-4, 6e-3, log=True),
        weight_decay=trial.suggest_float("weight_decay", 1e-4, 3e-2, log=True),
        smoothing=trial.suggest_float("smoothing", 0.0, 0.3),
    )


def search(data: Data, about: dict[str, Any], options: argparse.Namespace) -> None:
    """Do the trials that are missing; the best are told."""
    base = {key: about["dataset"][key] for key in ("fingerprint", "near", "train_on")}
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # a stopped trial is no traceback
    file = options.out / "gnn-search.db"
    try:
        _search(data, base, file, options)
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        raise SetupError(
            f"{file}: {str(error).splitlines()[0]}: the same command goes on, or begins anew where "
            "the file is deleted"
        ) from None


def _search(data: Data, base: dict[str, Any], file: Path, options: argparse.Namespace) -> None:
    study = optuna.create_study(
        study_name=json.dumps(base, sort_keys=True),
        storage=f"sqlite:///{file.resolve()}",
        load_if_exists=True,
        direction="maximize",
    )
    known = study.get_trials()
    # Each call draws anew: from one seed a second call would repeat the first one's trials.
    study.sampler = optuna.samplers.TPESampler(seed=len(known))
    for trial in known:
        if trial.state != optuna.trial.TrialState.COMPLETE and trial.params:
            study.enqueue_trial(trial.params, skip_if_exists=True)
    judged = data.judged

    def objective(trial: optuna.Trial) -> float:
        fitted = gnn.fit(data, options.out / "gnn-search", suggest(trial))
        trial.set_user_attr("parameters", fitted.figures["parameters"])
        accuracy = float((fitted.predicted == data.validation_label)[judged].mean())
        print(f"trial {trial.number}: {accuracy:.4f} {trial.params}", flush=True)
        return accuracy

    finished = (optuna.trial.TrialState.COMPLETE,)
    left = options.trials - len(study.get_trials(states=finished))
    study.optimize(objective, n_trials=max(left, 0))
    ranked = sorted(study.get_trials(states=finished), key=lambda trial: -trial.value)
    for trial in ranked[:10]:
        print(f"{trial.value:.4f}: {trial.user_attrs['parameters']:,} parameters {trial.params}")


if __name__ == "__main__":
    sys.exit(main())
