module github.com/opdbus/opdbus

go 1.26.0
