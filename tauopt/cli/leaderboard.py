"""`tauopt leaderboard`: the trials of a search, best first."""

from __future__ import annotations

import typer

from tauopt.cli.options import Json, Output, SearchName


def leaderboard(
    search: SearchName = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """Rank the trials of a search, with statistical uncertainties."""
    from tauopt.cli.console import print_json, results
    from tauopt.cli.leaderboard_table import board_table
    from tauopt.workflows.leaderboard import leaderboard as read

    board = read(search, output=output)
    if json:
        rows = [row.as_json() for row in board.rows]
        goals = [goal._asdict() for goal in board.goals]
        print_json({"name": board.name, "objectives": goals, "trials": rows})
        return
    title = f"search {board.name}"
    console = results()
    table = board_table(
        board.rows, board.goals, title=title, varying=board.varying, width=console.width
    )
    console.print(table)


def register(app: typer.Typer) -> None:
    """Add the verb to the application."""
    app.command()(leaderboard)
