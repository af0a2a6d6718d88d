"""RSS and Atom feeds as producers of articles: `entries` reads one, `source` fetches it, `follow` keeps many going."""
