package dbus

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"testing"

	"github.com/godbus/dbus/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// value reads JSON.
func value(t testing.TB, text string) (v any) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(text), &v))
	return v
}

// carried is a value after a message has carried it, as the other side has it.
func carried(t testing.TB, v any, s signature) any {
	t.Helper()
	m := &dbus.Message{Type: dbus.TypeMethodCall, Headers: map[dbus.HeaderField]dbus.Variant{
		dbus.FieldPath: dbus.MakeVariant(dbus.ObjectPath("/")), dbus.FieldMember: dbus.MakeVariant("M"),
		dbus.FieldSignature: dbus.MakeVariant(dbus.ParseSignatureMust(string(s))),
	}, Body: []any{v}}
	var wire bytes.Buffer
	require.NoError(t, m.EncodeTo(&wire, binary.LittleEndian), "%s", s)
	back, err := dbus.DecodeMessage(&wire)
	require.NoError(t, err, "%s", s)
	require.Len(t, back.Body, 1)
	return back.Body[0]
}

func TestValues(t *testing.T) {
	t.Run("each type of D-Bus is written as JSON and comes over the bus as it was", func(t *testing.T) {
		for _, c := range []struct{ signature, json string }{
			{"y", "255"}, {"b", "true"}, {"n", "-32768"}, {"q", "65535"}, {"i", "-2147483648"}, {"u", "4294967295"},
			{"x", `"-9223372036854775808"`}, {"x", `"9223372036854775807"`}, {"x", "9007199254740992"}, {"t", `"18446744073709551615"`},
			{"d", "1.5"}, {"d", "1e300"}, {"d", `"NaN"`}, {"d", `"-Infinity"`}, {"s", `"ö"`}, {"o", `"/org/example"`}, {"g", `"a{sv}"`}, {"g", `""`},
			{"as", `["a", "b"]`}, {"as", "[]"}, {"ay", `"wlan"`}, {"ay", "[0, 255]"}, {"ay", "[]"}, {"aay", `["a", [0]]`},
			{"(is)", `[1, "a"]`}, {"a(ss)", `[["a", "b"], ["c", "d"]]`}, {"((ib)a(iayqs))", `[[1, true], [[2, [127, 0, 0, 1], 53, "dns.example"]]]`},
			{"a{ss}", `{"a": "b"}`}, {"a{ss}", "{}"}, {"a{ub}", `{"1": true, "2": false}`}, {"a{ds}", `{"1.5": "x"}`}, {"a{oa{sv}}", `{"/a": {"b": 1}}`},
			{"a{tx}", `{"18446744073709551615": "-9223372036854775808"}`},
			{"v", `"a"`}, {"v", "5"}, {"v", `{"$signature": "u", "$value": 5}`}, {"v", `["a"]`}, {"v", `[1, "a", [true]]`}, {"v", `{"a": {"b": [1.5]}}`},
			{"v", `{"$signature": "as", "$value": []}`}, {"v", `{"$signature": "v", "$value": 1}`}, {"v", `{"$signature": "(ss)", "$value": ["a", "b"]}`},
			{"v", `{"$signature": "a{sv}", "$value": {"$signature": 1, "$value": 2}}`}, {"a{sv}", `{"$signature": 1, "$value": 2}`},
			{"av", `[{"$signature": "t", "$value": "18446744073709551615"}]`},
		} {
			s, err := checked(c.signature)
			require.NoError(t, err, c.signature)
			want := value(t, c.json)
			sent, err := encode(want, s, nil)
			require.NoError(t, err, "%s %s", s, c.json)
			for _, v := range []any{sent, carried(t, sent, s)} {
				got, err := decode(v, s)
				require.NoError(t, err, "%s %s", s, c.json)
				assert.Equal(t, want, got, "%s", s)
			}
		}
	})

	t.Run("a value of another type is an error that says what is wanted and what is given", func(t *testing.T) {
		for _, c := range []struct{ signature, json, text string }{
			{"u", "-1", "wanted is u (a whole number from 0 to 4294967295), given is -1"},
			{"y", "256", "wanted is y (a whole number from 0 to 255), given is 256"},
			{"i", "1.5", "given is a number"}, {"i", `"x"`, `given is a string of 1 bytes`}, {"x", `"9223372036854775808"`, "from -9223372036854775808 to 9223372036854775807"},
			{"x", "9223372036854775808", "given is 9223372036854775808"}, {"t", "18446744073709551616", "wanted is t"}, {"i", `""`, "wanted is i"}, {"i", `"1-"`, "wanted is i"},
			{"b", "1", "wanted is b (true or false), given is a number"}, {"s", "1", "wanted is s (a string), given is a number"}, {"s", "null", "given is null"},
			{"s", `"a\u0000"`, "without a zero byte"}, {"o", `"a"`, "wanted is o (the path of an object"}, {"g", `"a"`, "wanted is g"}, {"h", "1", "a file descriptor, which cannot be written down"},
			{"as", `"a"`, "wanted is as (a list)"}, {"as", `["a", 1]`, "wanted at [1] is s (a string), given is a number"}, {"(is)", "[1]", "wanted is (is) (a list of exactly 2), given is a list of 1"},
			{"a(is)", `[[1, "a"], [2, true]]`, "wanted at [1][1] is s (a string), given is a bool"}, {"a{si}", `{"a": "b"}`, "wanted at a is i"}, {"a{us}", `{"a": "b"}`, "wanted at a is u"},
			{"a{us}", `{"1": "a", "01": "b"}`, "is there twice"}, {"a{sv}", "[]", "wanted is a{sv} (an object), given is a list of 0"}, {"ay", "[256]", "wanted at [0] is y"}, {"v", "null", "wanted is v (any value), given is null"},
			{"v", `{"$signature": "ss", "$value": 1}`, "wanted at $signature is a signature of one complete type"}, {"a{sv}", `{"a": {"$signature": "u", "$value": -1}}`, "wanted at a is u"}, {"d", `"x"`, "wanted is d (a number)"},
		} {
			s, err := checked(c.signature)
			require.NoError(t, err, c.signature)
			_, err = encode(value(t, c.json), s, nil)
			require.ErrorContains(t, err, c.text, "%s %s", s, c.json)
		}
	})

	t.Run("what a variant holds has the type that it has already", func(t *testing.T) {
		like := map[string]dbus.Variant{"a": dbus.MakeVariant(uint32(1)), "b": dbus.MakeVariant([][]any{{int16(1)}}), "n": {}}
		like["b"] = dbus.MakeVariantWithSignature([][]any{{int16(1)}}, dbus.ParseSignatureMust("a(n)"))
		got, err := encode(value(t, `{"a": 5, "b": [[2], [3]], "c": 6, "n": 1}`), "a{sv}", like)
		require.NoError(t, err)
		types := map[string]string{}
		for name, v := range got.(map[string]dbus.Variant) {
			types[name] = v.Signature().String()
		}
		assert.Equal(t, map[string]string{"a": "u", "b": "a(n)", "c": "i", "n": "i"}, types)
		got, err = encode(value(t, `{"a": -5}`), "a{sv}", like)
		require.NoError(t, err)
		assert.Equal(t, "i", got.(map[string]dbus.Variant)["a"].Signature().String(), "unless the value is none of that")
	})

	t.Run("what is no value is an error", func(t *testing.T) {
		for s, v := range map[signature]any{"v": dbus.Variant{}, "s": 1, "i": "a", "as": "a", "(ii)": []any{int32(1)}, "a{ss}": nil, "b": nil, "g": "s", "av": []any{nil}, "a(i)": []int32{1}, "d": int32(1)} {
			_, err := decode(v, s)
			assert.Error(t, err, "%s", s)
		}
		_, err := decodeVariant(dbus.Variant{})
		require.Error(t, err)
		_, err = decode(dbus.UnixFDIndex(0), "h")
		require.ErrorContains(t, err, "file descriptor")
		nan, err := decode(math.NaN(), "d")
		require.NoError(t, err)
		assert.Equal(t, "NaN", nan)
	})

	t.Run("what is too deep is an error", func(t *testing.T) {
		deep := any("x")
		for range 100 {
			deep = []any{deep}
		}
		_, err := encode(deep, "v", nil)
		require.ErrorContains(t, err, "it is in too many others")
	})
}

func TestSignatures(t *testing.T) {
	for _, s := range []string{"", "a", "(", "()", "a{", "a{s}", "a{ss", "a{sss}", "a{vs}", "a{bs}", "a{(i)s}", "{ss}", "ii", "z", "(i", "a()", string(bytes.Repeat([]byte("a"), 33)) + "i"} {
		_, err := checked(s)
		assert.Error(t, err, "%q is none", s)
	}
	all, err := checkedAll("sba{sv}(ii)")
	require.NoError(t, err)
	assert.Equal(t, []signature{"s", "b", "a{sv}", "(ii)"}, all)
}

// FuzzValues takes whatever JSON to whatever signature and back: nothing panics, what the library would send is what is read of it again,
// and what is written down of a value makes that value.
func FuzzValues(f *testing.F) {
	for _, seed := range [][2]string{{"i", "1"}, {"a{sv}", `{"a": [1, "b", {"c": 1e300}]}`}, {"v", `{"$signature": "a(tx)", "$value": [[1, -1]]}`}, {"(ayd)", `["a", "NaN"]`},
		{"a{dy}", `{"-0": 1}`}, {"aav", "[[]]"}, {"a{na{ts}}", `{"-1": {"1": ""}}`}, {"g", `"a{"`}} {
		f.Add(seed[0], []byte(seed[1]))
	}
	f.Fuzz(func(t *testing.T, text string, data []byte) {
		s, err := checked(text)
		if err != nil {
			return
		}
		if _, err := dbus.ParseSignature(text); err != nil {
			t.Fatalf("the library does not take %q", text)
		}
		var v any
		if json.Unmarshal(data, &v) != nil {
			return
		}
		sent, err := encode(v, s, nil)
		if err != nil {
			return
		}
		came := carried(t, sent, s)
		first, err := decode(came, s)
		require.NoError(t, err)
		direct, err := decode(sent, s)
		require.NoError(t, err)
		require.Equal(t, direct, first)
		for _, like := range []any{nil, came} {
			again, err := encode(first, s, like)
			require.NoError(t, err, "%s %v", s, first)
			second, err := decode(carried(t, again, s), s)
			require.NoError(t, err)
			require.Equal(t, first, second)
		}
	})
}
