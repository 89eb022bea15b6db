"""How long it takes until anything happens: `--help` and a check of a small folder, against importing the libraries."""

from pathlib import Path

from _measure import BASELINE, baseline, compare, mmdoctor, show, verdict

MODEL = Path(__file__).parents[1] / "mmdoctor" / "reference" / "weights" / "hybrid"
HELP, RULES, CHECK = "mmdoctor --help", "mmdoctor rules", "mmdoctor check --depth headers"


def main() -> None:
    """Measure, print, and fail where a promise is broken."""
    costs = compare(
        {
            BASELINE: baseline(),
            HELP: mmdoctor("--help"),
            RULES: mmdoctor("rules"),
            CHECK: mmdoctor("check", "--depth", "headers", str(MODEL)),
            f"{CHECK} --gpu": mmdoctor("check", "--depth", "headers", "--gpu", "L4-24GB", str(MODEL)),
        },
        rounds=11,
    )
    show(costs, BASELINE)
    floor = costs[BASELINE].seconds
    verdict(
        {
            "--help within 1.5x of importing typer and rich": costs[HELP].seconds <= 1.5 * floor,
            "check --depth headers within 2x of it": costs[CHECK].seconds <= 2 * floor,
        }
    )


if __name__ == "__main__":
    main()
