"""What rule authors use: the linter and the test runner, over the production parser and matcher."""
