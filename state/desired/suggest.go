package desired

import (
	"fmt"
	"slices"

	"github.com/agext/levenshtein"
)

// suggest finds the name that was probably meant; empty when none is close. One letter may be wrong in short names, two in
// longer ones and where two letters changed places.
func suggest(given string, names []string) string {
	best, closest := "", 3
	for _, name := range names {
		n := levenshtein.Distance(given, name, nil)
		if n < closest && (n*2 < max(len(given), len(name)) || sameLetters(given, name)) {
			best, closest = name, n
		}
	}
	return best
}

func sameLetters(a, b string) bool {
	x, y := []byte(a), []byte(b)
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}

// didYouMean is the sentence to add to a message; empty when no name is close.
func didYouMean(given string, names []string) string {
	if name := suggest(given, names); name != "" {
		return fmt.Sprintf(" Did you mean %q?", name)
	}
	return ""
}
