#!/bin/bash
# The section of each Debian package and its description, as a table for `fusor data documents`:
#   ./launch/package_sections.sh FILE.tsv        columns label, text, group; needs apt and a network, no root
# Packages of one source, and packages whose long descriptions begin with the same paragraph, are one group, of which one
# package stays: otherwise a test would ask for what training has seen. Sections of fewer than 100 groups are left out.
set -euo pipefail
table=${1:?usage: $0 FILE.tsv}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder"/{parts,lists/partial,cache}
cat >"$folder/apt.conf" <<END
Dir::Etc::parts "$folder/parts";
Dir::State::Lists "$folder/lists";
Dir::Cache "$folder/cache";
APT::Sandbox::User "";
Acquire::Languages { "en"; };
END
APT_CONFIG=$folder/apt.conf apt-get update -qq
lists() { for file in "$folder"/lists/$1; do /usr/lib/apt/apt-helper cat-file "$file"; echo; done; }

# PACKAGE SOURCE SECTION MD5 of each package.
lists '*_Packages*' | awk -v OFS='\t' '
  function give() {
    if (package != "" && !(package in known)) print package, source == "" ? package : source, section, md5
    known[package]
    package = source = section = md5 = ""
  }
  $1 == "Package:" { give(); package = $2 }
  $1 == "Source:" { source = $2 }
  $1 == "Section:" { section = $2 }
  $1 == "Description-md5:" { md5 = $2 }
  END { give() }' | LC_ALL=C sort >"$folder/packages"

# MD5 TITLE PARAGRAPH REST of each description. A line " ." ends a paragraph.
lists '*_Translation-en*' | awk '
  function give() {
    if (md5 != "" && !(md5 in known) && paragraph != "") printf "%s\t%s\t%s\t%s\n", md5, title, paragraph, rest
    known[md5]
    md5 = title = paragraph = rest = ""
    paragraphs = 0
  }
  { gsub(/\t/, " ") }
  /^Package: / { give() }
  /^Description-md5: / { md5 = $2 }
  /^Description-en: / { title = substr($0, 17); next }
  /^ \.$/ { if (paragraph != "") paragraphs++; next }
  /^ / { if (paragraphs) rest = rest $0; else paragraph = paragraph $0 }
  END { give() }' >"$folder/descriptions"

LC_ALL=C awk -F '\t' -v OFS='\t' '
  function root(x) { while (parent[x] != x) x = parent[x] = parent[parent[x]]; return x }
  function join(a, b) {
    a = root(a); b = root(b)
    if (a < b) parent[b] = a; else if (b < a) parent[a] = b
  }
  NR == FNR { title[$1] = $2; paragraph[$1] = $3; rest[$1] = $4; next }
  !($4 in title) { next }
  { order[++n] = $1; section[$1] = $3; md5[$1] = $4; parent[$1] = $1 }
  $2 in of_source { join($1, of_source[$2]) }
  { of_source[$2] = $1 }
  paragraph[$4] in of_paragraph { join($1, of_paragraph[paragraph[$4]]) }
  { of_paragraph[paragraph[$4]] = $1 }
  END {
    for (i = 1; i <= n; i++) if (root(order[i]) == order[i]) groups[section[order[i]]]++
    print "label", "text", "group"
    for (i = 1; i <= n; i++) {
      p = order[i]
      if (root(p) == p && groups[section[p]] >= 100) print section[p], title[md5[p]] "." paragraph[md5[p]] rest[md5[p]], p
    }
  }' "$folder/descriptions" "$folder/packages" >"$table"
awk -F '\t' -v file="$table" 'NR > 1 { sections[$1] } END { print file ": " NR - 1 " descriptions of " length(sections) " sections" }' "$table"
