# cmake -DTOOL=build/bin/qopt-run -DPAGE=qopt-run.md -P HelpPage.cmake: a tool's --help as a page of Markdown.
execute_process(COMMAND ${TOOL} --help OUTPUT_VARIABLE text COMMAND_ERROR_IS_FATAL ANY)
get_filename_component(name ${TOOL} NAME)
string(REGEX REPLACE "\n+Examples:\n" "\n```\n\n## Examples\n\n```sh\n" text "${text}")
string(REGEX REPLACE "\n+Exit codes:\n" "\n```\n\n## Exit codes\n\n```\n" text "${text}")
string(STRIP "${text}" text)
file(WRITE ${PAGE} "# ${name}\n\n```\n${text}\n```\n")
