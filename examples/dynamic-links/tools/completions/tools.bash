complete -o default disk-usage listening failed-units who-is-on kernel-log busy
