#!/bin/bash
# Makes a speech dataset of the dialogues of a game, Fish Fillets, that Debian packages (GPL-2): two fish and others, about
# 1,700 sounds in Czech, 1,500 in Dutch. A level lies in one split, with another seed in another.
#   ./launch/fillets.sh cs|nl FOLDER [OPTIONS OF fusor data speech]
#   ./launch/fillets.sh nl data/fillets-nl --rate 16000
# FOLDER gets the dataset; FUSOR names the program unless it is built in build/cpu.
set -euo pipefail
case ${1-} in
  cs | nl) language=$1 ;;
  *)
    echo "usage: ./launch/fillets.sh cs|nl FOLDER [OPTIONS OF fusor data speech]" >&2
    exit 1
    ;;
esac
output=${2:?name the folder of the dataset}
shift 2
fusor=${FUSOR:-$(dirname "$0")/../build/cpu/launch/fusor}

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
for package in fillets-ng-data "fillets-ng-data-$language"; do  # unpacked, not installed
  (cd "$tree" && apt-get download -q "$package" >apt.log 2>&1) || { cat "$tree/apt.log" >&2; exit 1; }
  dpkg -x "$tree/$package"_*.deb "$tree"
done

# script/LEVEL/dialogs_LANGUAGE.lua holds, for each sound/LEVEL/LANGUAGE/ID.ogg, dialogId("ID", ...) and then
# dialogStr("TEXT").
cd "$tree/usr/share/games/fillets-ng"
echo path,text,group >"$tree/all.csv"
for script in script/*/dialogs_"$language".lua; do
  level=$(basename "$(dirname "$script")")
  awk -v level="$level" -v language="$language" '
    match($0, /dialogId\("[^"]*"/) { id = substr($0, RSTART + 10, RLENGTH - 11) }
    match($0, /dialogStr\(".*"\)/) {
      text = substr($0, RSTART + 11, RLENGTH - 13)
      gsub(/\\"/, "\"\"", text)
      path = "sound/" level "/" language "/" id ".ogg"
      if (id != "" && (getline first < path) >= 0)
        print "usr/share/games/fillets-ng/" path ",\"" text "\"," level
      close(path)
      id = ""
    }' "$script" >>"$tree/all.csv"
done
cd - >/dev/null
"$fusor" data speech --input "$tree/all.csv" --output "$output" --letters-only --drop-seen-texts --on-bad-sample skip \
  --val-fraction 0.125 --test-fraction 0.125 --most-seconds 31 "$@"
