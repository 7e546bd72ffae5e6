"""Static HTML pages about runs. ``pages`` is what every kind of page shares."""
