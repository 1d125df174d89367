#include "check.h"

/* Programs that are no cases have their own. */
__attribute__((weak)) int main(int argc, char **argv) {
    return check_main(argc, argv);
}
