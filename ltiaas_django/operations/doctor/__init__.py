"""Is this site set up so that launches, grades and rosters will work? `examining.examine` looks at everything."""
