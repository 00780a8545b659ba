package desired

import (
	"fmt"

	"github.com/agext/levenshtein"
)

// suggest finds the name that was probably meant; empty when none is close.
func suggest(given string, names []string) string {
	best, closest := "", 3
	for _, name := range names {
		if n := levenshtein.Distance(given, name, nil); n < closest && n < len(name) {
			best, closest = name, n
		}
	}
	return best
}

// didYouMean is the sentence to add to a message; empty when no name is close.
func didYouMean(given string, names []string) string {
	if name := suggest(given, names); name != "" {
		return fmt.Sprintf(" Did you mean %q?", name)
	}
	return ""
}
