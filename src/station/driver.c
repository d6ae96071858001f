#include "station/driver.h"

#include "station/usb.h"

static const struct mm_driver_class *const classes[MM_DRIVERS] = {
	[MM_DRIVER_SERIAL] = &mm_driver_serial,
	[MM_DRIVER_EXEC] = &mm_driver_exec,
	[MM_DRIVER_FILES] = &mm_driver_files,
};

/* see driver.h */
enum mm_err
mm_driver_new(const struct mm_fixture_conf *conf, struct mm_driver **out,
    struct mm_why *why)
{
	const struct mm_driver_class *c = classes[conf->driver];
	struct mm_driver *d = c->new(conf);

	if (d == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	d->class = c;
	d->conf = conf;
	*out = d;
	return MM_OK;
}

/* see driver.h */
void
mm_driver_free(struct mm_driver **owner)
{
	if (*owner != NULL)
		(*owner)->class->free(owner);
}

/* see driver.h */
bool
mm_driver_there(struct mm_driver *d)
{
	char port[PATH_MAX];

	return d->class->there != NULL ? d->class->there(d)
				       : mm_fixture_port(d->conf, port);
}

/* see driver.h */
bool
mm_driver_cook(struct mm_driver *d, const struct mm_recipe_conf *recipe)
{
	bool own = d->conf->driver != MM_DRIVER_EXEC || d->conf->program.n > 0;

	if (d->recipe != recipe && !own)
		d->test.is = MM_SELFTEST_UNASKED;
	d->recipe = recipe;
	return own || (recipe != NULL && recipe->program.n > 0);
}
