package desired

import (
	"maps"

	"github.com/zclconf/go-cty/cty/function"
)

// functionTable makes the functions that expressions may call. They are pure: the same arguments and files give the same
// value, so there is no clock, no randomness, no environment and no network among them.
func (l *loader) functionTable() map[string]function.Function {
	table := map[string]function.Function{}
	for _, group := range []map[string]function.Function{
		collectionFunctions(), conversionFunctions(), cryptoFunctions(), encodingFunctions(), networkFunctions(),
		numberFunctions(), sensitiveFunctions(), stringFunctions(), timeFunctions(), l.fileFunctions(),
	} {
		maps.Copy(table, group)
	}
	return l.withTemplates(table)
}
