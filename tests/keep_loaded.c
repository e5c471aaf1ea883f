/* Linked into every program of a build with the address sanitizer: what was loaded stays loaded, so
 * that leaks are told with the library that they are of. (Open MPI unloads its modules in
 * MPI_Finalize, long before leaks are looked for.) */
#include <dlfcn.h>

int dlclose(void *handle) {
    (void)handle;
    return 0;
}
