// Package closest finds what somebody may have meant. It may import the standard library and agext/levenshtein.
package closest

import (
	"fmt"

	"github.com/agext/levenshtein"
)

// To is the candidate that is most like a word, empty when none is. Of equals it is the first.
func To(word string, candidates []string) string {
	best, distance := "", max(2, len(word)/4)+1
	for _, c := range candidates {
		if diff := len(c) - len(word); diff >= distance || -diff >= distance {
			continue
		}
		if d := levenshtein.Distance(word, c, nil); d < distance {
			best, distance = c, d
		}
	}
	return best
}

// Hint is a sentence that asks for the closest candidate, empty when there is none.
func Hint(word string, candidates []string) string {
	if c := To(word, candidates); c != "" {
		return fmt.Sprintf(" Did you mean %q?", c)
	}
	return ""
}
