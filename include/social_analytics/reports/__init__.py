"""Reports: an organization's figures of a week or a month, as one HTML file for people."""
