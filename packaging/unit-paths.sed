# The paths of the unit in the sample config.yaml: `sed -f`, by install.sh and deb/build.sh.
s|^  - path: hot  |  - path: /srv/cvunetd/hot  |
s|^  root: outputs  |  root: /srv/cvunetd/outputs  |
s|^quarantine_dir: failed  |quarantine_dir: /srv/cvunetd/failed  |
s|^state_dir: state  |state_dir: /var/lib/cvunetd  |
s|^  listen: "127.0.0.1:8080"  |  listen: null  |
s|^  folder: uploads  |  folder: /srv/cvunetd/uploads  |
