package render

import (
	"encoding/json"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func FuzzClean(f *testing.F) {
	for _, s := range []string{"", "plain", hostile, "\x7f\u2028\U000e0041", "a\\b\"c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, ascii := range []bool{false, true} {
			for _, r := range clean(s, ascii) {
				require.True(t, strconv.IsPrint(r) && (!ascii || r < 0x80), "%q lets %U through", s, r)
			}
		}
		data, err := json.Marshal(s)
		require.NoError(t, err)
		var want, got string
		require.NoError(t, json.Unmarshal(data, &want))
		cleaned := cleanJSON(data)
		require.NoError(t, json.Unmarshal(cleaned, &got))
		assert.Equal(t, want, got)
		for _, r := range string(cleaned) {
			require.False(t, unprintable(r), "%q lets %U through", s, r)
		}
	})
}
