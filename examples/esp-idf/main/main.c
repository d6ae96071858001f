/* A device that is made at a station, by its console. */
#include <esp_log.h>
#include <esp_mac.h>
#include <freertos/FreeRTOS.h>
#include <freertos/task.h>

#include "esp_mintmark.h"

static const char tag[] = "mintmark";

static uint8_t buf[MMD_FACTORY_BUF];

static void
serve(const struct mmd_store *store)
{
	static uint8_t mac[6];
	static struct mmd_psa_keys keys = { .first = 1 };
	static struct mmd_factory factory;
	const struct mmd_crypto crypto = mmd_psa_crypto(&keys);
	const struct mmd_io console = mmd_esp_console(UART_NUM_0);
	const struct mmd_factory_conf conf = {
		.store = store,
		.crypto = &crypto,
		.hardware = { mac, sizeof(mac) },
		.firmware = "esp-idf 1",
		.kinds = 1U << MMD_KEY_P256,
		.buf = buf,
		.cap = sizeof(buf),
	};

	if (esp_efuse_mac_get_default(mac) != ESP_OK ||
	    mmd_factory_init(&factory, &conf) != MMD_OK)
		return;
	while (mmd_factory_run(&factory, &console) == MMD_MORE)
		vTaskDelay(1);
}

void
app_main(void)
{
	static struct mmd_esp_flash flash;
	static struct mmd_store store;

	if (psa_crypto_init() != PSA_SUCCESS ||
	    mmd_esp_flash_open(&flash, "mintmark", &store) != MMD_OK ||
	    mmd_esp_console_open(UART_NUM_0) != MMD_OK) {
		ESP_LOGE(tag, "no partition, console or crypto");
		return;
	}
	serve(&store);
	ESP_LOGE(tag, "the link ended");
}
