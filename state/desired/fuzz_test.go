package desired_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/opdbus/opdbus/state/desired"
	"github.com/stretchr/testify/require"
	"golang.org/x/tools/txtar"
)

// seeds adds the files of every diagnostics case that end as wanted, and what they lack.
func seeds(f *testing.F, suffix string, more ...string) {
	cases, err := filepath.Glob("testdata/diagnostics/*.txtar")
	require.NoError(f, err)
	for _, path := range cases {
		archive, err := txtar.ParseFile(path)
		require.NoError(f, err)
		for _, file := range archive.Files {
			if filepath.Ext(file.Name) == suffix {
				f.Add(string(file.Data))
			}
		}
	}
	for _, s := range more {
		f.Add(s)
	}
}

func FuzzLoad(f *testing.F) {
	seeds(f, ".hcl",
		`stage "a" { dynamic "file" { for_each = range(1000000000)
 labels = [file.key]
 content { target = "/x" } } }`,
		`stage "a" { for_each = setproduct(range(1000), range(1000), range(1000)) }`,
		`locals { a = format("%999999999d", 1)
 b = indent(1000000000, "x")
 c = templatefile("t.tmpl", {})
 d = templatestring("$${x}", { x = 1 })
 e = [for a in range(10) : { for b in ["x"] : b => a... }]
 f = try(jsondecode("[[[["), yamldecode("a: &a [*a]"), cidrsubnet("10.0.0.0/8", -1, 99999999999999999999))
 g = merge({}, null, [])
 h = regexall("(a*)*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
 i = fileset(".", "**/[")
 j = element([], 0)
 k = sensitive({ a = 1 }).a
 l = parseint("zz", 99)
 m = 1 / 0
 n = pow(10, 100000)
 o = substr("x", -5, 99)
 p = formatdate("YYYY", "x")
 q = zipmap(["a"], [])
 r = flatten([[[null]]])
 s = log(-1, 0)
 t = -1 % 0 }`,
		`network "n" { wireguard "w" { value = [null, { a = 1e400 }, true]
 weight = 1e-400
 dynamic "peer" { for_each = { a = { b = [1] } }
 iterator = it
 labels = [it.key]
 content { public_key = it.value.b[0]
 allowed_ips = toset(["a", null]) } } } }`,
		`output "o" { value = stage.a
 sensitive = true }
stage "a" { for_each = { x = 1, y = sensitive(2) }
 version = each.value }`)
	f.Fuzz(func(t *testing.T, src string) { loadAny(t, "main.hcl", src) })
}

func FuzzLoadJSON(f *testing.F) {
	seeds(f, ".json",
		`{"stage":{"a":{"for_each":{"x":"${range(3)}"},"version":"${each.value[0]}","file":[{"b":{"target":"/x"}},{"c":null}],
 "dynamic":{"file":[{"for_each":["a"],"labels":["${file.value}"],"content":{"target":"%{for x in [1]}${x}%{endfor}"}}]}}},
 "variable":{"v":{"type":"list(string)","default":["x"],"validation":[{"condition":"${length(var.v) > 1}","error_message":"no"}]}},
 "locals":{"l":"${var.v}","//":"x"},"moved":[{"from":"stage.x","to":"stage.y"}],"removed":{"from":"stage.z[\"k\"]"},"output":{"o":{"value":"${local.l}"}}}`,
		`[[[]]]`, `null`, `{"stage":[]}`, `{"stage":{"a":[{},{}]}}`, `{"opdbus":{"features":null}}`)
	f.Fuzz(func(t *testing.T, src string) { loadAny(t, "main.hcl.json", src) })
}

// loadAny loads whatever it is given: it must end, in time, with a configuration or with errors, and print them.
func loadAny(t *testing.T, name, src string) {
	dir := write(t, name, src, "t.tmpl", `${templatefile("t.tmpl", {})}`, "payload/a", "a")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	config, files, diags := desired.Load(ctx, options(dir))
	require.True(t, diags.HasErrors() || config != nil)
	text(t, files, diags)
	_, err := files.JSON(diags)
	require.NoError(t, err)
}

func FuzzFormat(f *testing.F) {
	seeds(f, ".hcl")
	f.Fuzz(func(t *testing.T, src string) {
		once, diags := desired.Format([]byte(src), "main.hcl")
		if diags.HasErrors() {
			require.Equal(t, src, string(once))
			return
		}
		twice, diags := desired.Format(once, "main.hcl")
		require.Empty(t, diags)
		require.Equal(t, string(once), string(twice))
	})
}
