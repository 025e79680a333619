"""The command line: options, commands, exit codes. No other package knows the name of an option."""
