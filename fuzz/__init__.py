"""What others write, in every form that a fuzzer (Atheris, on libFuzzer) thinks of: `python -m fuzz`.

Each module in `targets` is a target: its docstring says what it reads, what that may raise and what holds of the
result. `corpus` has inputs for each, which `tests/fuzz` replays without Atheris.
"""
