"""The job's config: sections, job files, and checks of them."""

from batchfim.config.engine import Engine as Engine
from batchfim.config.job import HIDDEN as HIDDEN
from batchfim.config.job import Columns as Columns
from batchfim.config.job import Infill as Infill
from batchfim.config.job import Input as Input
from batchfim.config.job import JobConfig as JobConfig
from batchfim.config.job import Metrics as Metrics
from batchfim.config.job import Model as Model
from batchfim.config.job import Sampling as Sampling
from batchfim.config.job import Truncation as Truncation
from batchfim.config.schedule import Schedule as Schedule
from batchfim.config.workers import Resources as Resources
