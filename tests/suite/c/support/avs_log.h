/*
 * The functions behind avs_commons' log macros, for programs that stand in for it.
 */

#ifndef AVS_LOG_H
#define AVS_LOG_H

#include <stdarg.h>

#ifdef __cplusplus
extern "C" {
#endif

int avs_log_should_log__(int level, const char *module);
void avs_log_internal_forced_v__(int level,
                                 const char *module,
                                 const char *file,
                                 unsigned line,
                                 const char *format,
                                 va_list args);
void avs_log_internal_v__(int level,
                          const char *module,
                          const char *file,
                          unsigned line,
                          const char *format,
                          va_list args);
void avs_log_internal_forced_l__(int level,
                                 const char *module,
                                 const char *file,
                                 unsigned line,
                                 const char *format,
                                 ...);
void avs_log_internal_l__(int level,
                          const char *module,
                          const char *file,
                          unsigned line,
                          const char *format,
                          ...);

#ifdef __cplusplus
}
#endif

#endif /* AVS_LOG_H */
