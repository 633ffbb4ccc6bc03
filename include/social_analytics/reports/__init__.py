"""Reports: the figures of an organization or customer in a week or a month, as one HTML file for people."""
