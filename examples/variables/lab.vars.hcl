# Read where it is named: opdbus plan --var-file lab.vars.hcl
release  = "2.2.0"
features = ["sftp"]
