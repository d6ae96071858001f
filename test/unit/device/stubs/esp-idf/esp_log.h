#ifndef STUB_ESP_LOG_H
#define STUB_ESP_LOG_H
void stub_log(const char *tag, const char *format, ...);
#define ESP_LOGE(tag, ...) stub_log(tag, __VA_ARGS__)
#endif
