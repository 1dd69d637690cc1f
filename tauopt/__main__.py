"""`python -m tauopt` is `tauopt`."""

from tauopt.cli.app import main

if __name__ == "__main__":
    main()
