# Writes OUTPUT, a header with the version and the git commit of SOURCE ("+dirty" when files differ from it). Where files lie
# without their repository, as in a container image, SLAO_GIT_COMMIT in the environment names it.
execute_process(COMMAND git -C ${SOURCE} describe --always --abbrev=12 --exclude=* --dirty=+dirty
                OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT commit)
  set(commit "$ENV{SLAO_GIT_COMMIT}")
endif()
if(NOT commit)
  set(commit "unknown")
endif()
set(text "#define SLAO_VERSION \"${VERSION}\"\n#define SLAO_GIT_COMMIT \"${commit}\"\n")
set(old "")
if(EXISTS ${OUTPUT})
  file(READ ${OUTPUT} old)
endif()
if(NOT old STREQUAL text)
  file(WRITE ${OUTPUT} "${text}")
endif()
