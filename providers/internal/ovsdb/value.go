package ovsdb

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// A UUID names a row.
type UUID string

// MarshalJSON gives the notation of RFC 7047, 5.1.
func (u UUID) MarshalJSON() ([]byte, error) { return json.Marshal([2]string{"uuid", string(u)}) }

// A Named is the row that an Insert of the same transaction gave that name, an identifier.
type Named string

// MarshalJSON gives the notation of RFC 7047, 5.1.
func (n Named) MarshalJSON() ([]byte, error) { return json.Marshal([2]string{"named-uuid", string(n)}) }

// A Set has none, one or many values.
type Set []any

// MarshalJSON gives the notation of RFC 7047, 5.1.
func (s Set) MarshalJSON() ([]byte, error) {
	return json.Marshal([2]any{"set", append([]any{}, s...)})
}

// A Map has values by keys, which are strings here: so they are in every column that opdbus looks after.
type Map map[string]any

// MarshalJSON gives the notation of RFC 7047, 5.1, in the order of the keys.
func (m Map) MarshalJSON() ([]byte, error) {
	pairs := make([][2]any, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		pairs = append(pairs, [2]any{k, m[k]})
	}
	return json.Marshal([2]any{"map", pairs})
}

// A Row has values by columns.
type Row map[string]any

// UnmarshalJSON reads the notation of RFC 7047, 5.1.
func (r *Row) UnmarshalJSON(data []byte) error {
	raw := map[string]any{}
	if err := decode(data, &raw); err != nil {
		return err
	}
	*r = make(Row, len(raw))
	for column, v := range raw {
		parsed, err := value(v)
		if err != nil {
			return fmt.Errorf("column %s: %w", column, err)
		}
		(*r)[column] = parsed
	}
	return nil
}

// Elements are the values of a column that may have many.
func Elements(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case Set:
		return v
	}
	return []any{v}
}

// Strings are the keys of a column that is a map of strings, with their values.
func Strings(v any) map[string]string {
	m, _ := v.(Map)
	all := make(map[string]string, len(m))
	for k, of := range m {
		all[k] = fmt.Sprint(of)
	}
	return all
}

// value is a value as the server wrote it, whose numbers are json.Number.
func value(v any) (any, error) {
	switch v := v.(type) {
	case string, bool:
		return v, nil
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n, nil
		}
		return v.Float64()
	case []any:
		return tagged(v)
	}
	return nil, fmt.Errorf("%v is no value", v)
}

func tagged(v []any) (any, error) {
	if len(v) != 2 {
		return nil, fmt.Errorf("%v is no value", v)
	}
	switch v[0] {
	case "uuid":
		if id, ok := v[1].(string); ok {
			return UUID(id), nil
		}
	case "set":
		if elements, ok := v[1].([]any); ok {
			return set(elements)
		}
	case "map":
		if pairs, ok := v[1].([]any); ok {
			return pairsOf(pairs)
		}
	}
	return nil, fmt.Errorf("%v is no value", v)
}

func set(elements []any) (Set, error) {
	s := make(Set, 0, len(elements))
	for _, e := range elements {
		parsed, err := value(e)
		if err != nil {
			return nil, err
		}
		s = append(s, parsed)
	}
	return s, nil
}

func pairsOf(pairs []any) (Map, error) {
	m := make(Map, len(pairs))
	for _, p := range pairs {
		pair, ok := p.([]any)
		if !ok || len(pair) != 2 {
			return nil, fmt.Errorf("%v is no pair of a key and a value", p)
		}
		key, err := value(pair[0])
		if err != nil {
			return nil, err
		}
		of, err := value(pair[1])
		if err != nil {
			return nil, err
		}
		m[fmt.Sprint(key)] = of
	}
	return m, nil
}
