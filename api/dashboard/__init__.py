"""Plain pages for people: studies, one study, one trial, objectives, workers. Rendered here, without a script."""
