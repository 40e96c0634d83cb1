#!/bin/sh
# Print a Python that can carry the broker: 3.11 or newer, really running, able to make a virtual environment.
# Tested ones come first; a newer one only when there is nothing else. A name on the PATH may be a shim of nothing.
check='import sys, venv, ensurepip, sysconfig, os
tested = (3, 11) <= sys.version_info[:2] <= (3, 13)
headers = os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h"))
sys.exit(0 if sys.version_info[:2] >= (3, 11) and {0} else 1)'
for wish in "tested and headers" "tested" "True"; do
  for name in python3 python3.13 python3.12 python3.11 python /usr/bin/python3; do
    if "$name" -c "$(printf '%s' "$check" | sed "s/{0}/($wish)/")" >/dev/null 2>&1; then
      command -v "$name"
      exit 0
    fi
  done
done
echo "No Python 3.11 or newer that can make virtual environments was found." >&2
echo "On Debian or Ubuntu: apt-get install python3 python3-venv python3-dev g++" >&2
exit 1
