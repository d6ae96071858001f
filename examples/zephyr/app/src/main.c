/* A device that is made at a station, by its console. */
#include <zephyr/drivers/hwinfo.h>
#include <zephyr/kernel.h>

#include "zephyr_mintmark.h"

static uint8_t buf[MMD_FACTORY_BUF];
static uint8_t id[MMD_HARDWARE_MAX];

static enum mmd_rc
serve(const struct mmd_store *store, const struct device *uart, size_t id_n)
{
	static struct mmd_psa_keys keys = { .first = 1 };
	static struct mmd_factory factory;
	const struct mmd_crypto crypto = mmd_psa_crypto(&keys);
	const struct mmd_io console = mmd_zephyr_console(uart);
	const struct mmd_factory_conf conf = {
		.store = store,
		.crypto = &crypto,
		.hardware = { id, id_n },
		.firmware = "zephyr 1",
		.kinds = 1U << MMD_KEY_P256,
		.buf = buf,
		.cap = sizeof(buf),
	};
	enum mmd_rc rc = mmd_factory_init(&factory, &conf);

	if (rc != MMD_OK)
		return rc;
	while ((rc = mmd_factory_run(&factory, &console)) == MMD_MORE)
		(void)k_msleep(1);
	return rc;
}

int
main(void)
{
	static struct mmd_zephyr_flash flash;
	static struct mmd_store store;
	const struct device *uart = DEVICE_DT_GET(DT_CHOSEN(zephyr_console));
	ssize_t n = hwinfo_get_device_id(id, sizeof(id));

	if (n <= 0 || psa_crypto_init() != PSA_SUCCESS ||
	    mmd_zephyr_flash_open(&flash,
	    FIXED_PARTITION_ID(mintmark_partition), &store) != MMD_OK ||
	    mmd_zephyr_console_open(uart) != MMD_OK)
		return 1;
	return (int)serve(&store, uart, (size_t)n);
}
