"""Reports for people, on a terminal and in Markdown. They read records alone, so they need no ray, optuna or mlflow."""
